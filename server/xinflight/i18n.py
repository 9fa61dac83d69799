"""Texts for people in English and Chinese. They never contain a prompt or upstream text."""

from collections.abc import Sequence

from xinflight.negotiation import weights

__all__ = ["LANGUAGES", "choose_language", "translate"]

LANGUAGES = ("en", "zh-CN")

_TEXTS: dict[str, tuple[str, str]] = {
    # Answers and events
    "ack": ("Your generation was accepted", "已接受生成请求"),
    "accepted": ("Accepted", "已接受"),
    "output": ("An image is ready", "一张图片已完成"),
    "output.video": ("A video is ready", "一个视频已完成"),
    "output.text": ("The text is complete", "文本已完成"),
    "marked": ("Stars, tags or deleted images changed", "收藏、标签或已删除的图片有变化"),
    "completed": ("Completed", "已完成"),
    # Steps
    "queued": ("Waiting in the queue", "排队中"),
    "waiting_for_model": ("Waiting for the model", "等待模型"),
    "paused": ("Paused", "已暂停"),
    "starting": ("Starting", "正在启动"),
    "generating": ("Generating", "正在生成"),
    "decoding": ("Decoding", "正在解码"),
    "saving": ("Saving", "正在保存"),
    "cancelling": ("Cancelling", "正在取消"),
    # Outcomes of a cancel
    "never_started": ("Cancelled before it started", "已取消，尚未开始"),
    "stopped": ("Cancelled, and the model is free", "已取消，模型已空闲"),
    "running_on": ("Cancelled, but the model keeps running to the end", "已取消，但模型仍会运行到结束"),
    "unconfirmed": ("Cancelled, but the model did not confirm that it stopped", "已取消，但模型未确认已停止"),
    # States in which one of several outputs, of any kind, can end by itself
    "failed": ("Failed", "生成失败"),
    "cancelled": ("Cancelled", "已取消"),
    "expired": ("Timed out", "已超时"),
    "share_gone": (
        "This link opens nothing any more: it has expired or was revoked, or its image was deleted.",
        "此链接已失效：可能已过期或被撤销，或者图片已被删除。",
    ),
    # Errors
    "not_json": ("The message is not JSON", "消息不是 JSON"),
    "wrong_shape": ("A field of the message is missing or has the wrong type", "消息缺少字段或字段类型错误"),
    "unknown_action": ("Unknown action", "未知的操作"),
    "frame_too_large": ("The message is too large", "消息过大"),
    "binary_frame": ("Binary messages are not supported by this sub-protocol", "未约定使用二进制消息"),
    "text_frame": ("Text messages are not supported by this sub-protocol", "未约定使用文本消息"),
    "body_timeout": ("The request body did not arrive in time", "请求内容未及时送达"),
    "unsupported_type": ("The content type of the request is not supported", "不支持该请求内容类型"),
    "not_acceptable": ("None of the accepted content types is available", "无法提供所要求的内容类型"),
    "unauthorised": ("A valid token is required", "需要有效的令牌"),
    "token_expired": ("The log-in has expired", "登录已过期"),
    "ambiguous_credentials": ("The request has two different tokens", "请求中包含两个不同的令牌"),
    "forbidden": ("This is not allowed", "没有权限"),
    "not_found": ("Not found", "找不到该内容"),
    "out_of_bounds": ("A value is out of bounds", "参数超出允许范围"),
    "prompt_missing": ("The prompt is empty", "提示词为空"),
    "bad_task_id": ("The task id is not valid", "任务编号格式错误"),
    "lora_tag": (
        "LoRA tags don't work here; choose a model that was launched with the LoRA",
        "此处不支持 LoRA 标签；请选择加载了该 LoRA 的模型",
    ),
    "image_not_found": ("There is no such upload or image of yours", "没有这个上传文件或图片"),
    "bad_image": ("This image can't be used", "这张图片无法使用"),
    "too_many_uploads": ("Too many uploads", "上传文件过多"),
    "images_unsupported": ("This server can't read images", "此服务器无法读取图片"),
    "task_id_conflict": ("This task id is already used for a different request", "该任务编号已用于其他内容"),
    "too_many_tasks": ("Too many unfinished generations", "未完成的生成任务过多"),
    "rate_limited": ("Too many requests; wait a moment", "请求过于频繁，请稍候"),
    "quota_exceeded": ("The compute time of today is used up", "今天的计算时间已用完"),
    "too_many_shares": ("Too many share links; revoke one first", "分享链接过多，请先撤销一个"),
    "too_many_connections": ("Too many open connections", "打开的连接过多"),
    "model_not_found": ("No such model", "没有这个模型"),
    "model_unsuitable": ("This can't be done by that model, or by this server", "该模型或此服务器做不到"),
    "task_unfinished": ("This generation has not ended; cancel it first", "该任务尚未结束，请先取消"),
    "account_busy": ("An export or erasure of your data is under way", "正在导出或清除您的数据"),
    "erased": ("All data of this account was deleted", "此账户的全部数据已删除"),
    "storage_unavailable": ("The server can't store anything right now", "服务器暂时无法保存数据"),
    "expiring": ("Your sign-in expires soon", "登录即将过期"),
    "preferences": ("Your settings were changed", "您的设置已更改"),
    "presets": ("Your presets were changed", "您的预设已更改"),
    "deleted": ("A generation was deleted", "一个生成任务已被删除"),
    "shutting_down": ("The server is shutting down", "服务器正在关闭"),
    "upstream_auth": ("The model server rejects the API key", "模型服务器拒绝了密钥"),
    "upstream_unreachable": ("The model server can't be reached", "无法连接模型服务器"),
    "upstream_busy": ("The model server is busy", "模型服务器暂时繁忙"),
    "upstream_died": ("The model stopped during the generation", "模型中途停止"),
    "upstream_failed": ("The model failed", "模型生成失败"),
    "upstream_out_of_memory": ("The model has too little memory for this", "显存或内存不足，模型无法生成"),
    "upstream_garbage": ("The model server sent an invalid response", "模型服务器返回了无法识别的内容"),
    "timeout": ("This generation timed out", "生成已超时"),
    "interrupted": ("The text broke off", "文本中断了"),
    "internal": ("Internal server error", "服务器内部错误"),
    # State of Xinference, and what to do about it
    "upstream.ready": ("The model server is ready", "模型服务器已就绪"),
    "upstream.loading": ("Looking for the model server", "正在查找模型服务器"),
    "upstream.no_model": ("No suitable model is running", "没有正在运行的可用模型"),
    "upstream.unreachable": ("The model server can't be reached", "无法连接模型服务器"),
    "upstream.unauthorised": ("The model server rejects the API key", "模型服务器拒绝了密钥"),
    "cure.ready": ("", ""),
    "cure.loading": ("Wait a moment", "请稍候"),
    "cure.no_model": (
        "Launch one, for example: xinference launch --model-name Z-Image-Turbo --model-type image",
        "请启动一个模型，例如：xinference launch --model-name Z-Image-Turbo --model-type image",
    ),
    "cure.unreachable": (
        "Start Xinference (xinference-local), or point to it with --xinference URL, or try xinflight serve --demo",
        "请启动 Xinference（xinference-local），或用 --xinference URL 指定地址，或试用 xinflight serve --demo",
    ),
    "cure.unauthorised": (
        "Set XINFLIGHT_API_KEY to an API key of Xinference and restart",
        "请在 XINFLIGHT_API_KEY 中提供 Xinference 的 API 密钥并重新启动",
    ),
    # Fallback, and shutdown
    "unknown": ("An event that this version has no text for", "发生了当前版本无法描述的事件"),
    "draining": ("The server is shutting down; reconnect in a moment", "服务器正在关闭，请稍后重新连接"),
}


def translate(key: str, lang: str) -> str:
    """Translate a key into one of LANGUAGES.

    An unknown key, such as an error code stored by another version of the server, gets a general text: an exception
    would close the connection that the text is sent on.
    """
    return _TEXTS.get(key, _TEXTS["unknown"])[LANGUAGES.index(lang)]


def choose_language(wanted: str | None, default: str, offered: Sequence[str] = LANGUAGES) -> str:
    """Choose one of the offered languages by an Accept-Language value, a single tag, or None.

    A tag stands for the offered one that equals it, else for one of the same language in another region or script
    (RFC 4647 section 3.4, RFC 9110 section 12.5.4).
    """
    asked = weights([wanted or ""])
    for tag in sorted(asked, key=asked.__getitem__, reverse=True):
        if asked[tag] == 0:
            break
        alike = [language for language in offered if _primary(language) == _primary(tag)]
        if alike:
            return next((language for language in alike if language.lower() == tag), alike[0])
    return default


def _primary(tag: str) -> str:
    return tag.partition("-")[0].lower()
