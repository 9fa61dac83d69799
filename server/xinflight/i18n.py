"""What people read, in English and Chinese. Never a prompt, never upstream text."""

from xinflight.negotiation import weights

__all__ = ["LANGUAGES", "choose_language", "translate"]

LANGUAGES = ("en", "zh-CN")

_WORDS: dict[str, tuple[str, str]] = {
    # Answers and events
    "ack": ("Your generation is accepted", "已接受生成请求"),
    "accepted": ("Accepted", "已接受"),
    "picture": ("A picture is ready", "一张图片已完成"),
    "completed": ("Completed", "已完成"),
    # Steps
    "queued": ("Waiting in the queue", "排队中"),
    "waiting_for_model": ("Waiting for the model", "等待模型"),
    "starting": ("Starting", "正在启动"),
    "generating": ("Generating", "正在生成"),
    "decoding": ("Decoding the picture", "正在解码图片"),
    "saving": ("Saving the picture", "正在保存图片"),
    "cancelling": ("Cancelling", "正在取消"),
    # What a cancel achieved
    "never_started": ("Cancelled before it started", "已取消，尚未开始"),
    "stopped": ("Cancelled, and the model is free", "已取消，模型已空闲"),
    "running_on": ("Cancelled, but the model works on to its end", "已取消，但模型仍会运行到结束"),
    "unconfirmed": ("Cancelled, but the model did not confirm that it stopped", "已取消，但模型未确认已停止"),
    # States that a picture of several can end in by itself
    "failed": ("This picture failed", "这张图片生成失败"),
    "cancelled": ("This picture is cancelled", "这张图片已取消"),
    "expired": ("This picture ran out of time", "这张图片已超时"),
    # Errors
    "not_json": ("The message is not JSON", "消息不是 JSON"),
    "wrong_shape": ("The message has a field missing or of the wrong type", "消息缺少字段或字段类型错误"),
    "unknown_action": ("The action is unknown", "未知的操作"),
    "frame_too_large": ("The message is too large", "消息过大"),
    "binary_frame": ("Binary messages were not agreed on", "未约定使用二进制消息"),
    "text_frame": ("Text messages were not agreed on", "未约定使用文本消息"),
    "body_timeout": ("The body did not come in time", "请求内容未及时送达"),
    "unsupported_type": ("The body's type is not read here", "不支持该请求内容类型"),
    "not_acceptable": ("The wanted type is not written here", "无法提供所要求的内容类型"),
    "unauthorised": ("A token is needed", "需要令牌"),
    "forbidden": ("This is not allowed", "没有权限"),
    "not_found": ("There is nothing like that", "找不到该内容"),
    "out_of_bounds": ("A value is out of bounds", "参数超出允许范围"),
    "prompt_missing": ("The prompt is empty", "提示词为空"),
    "bad_task_id": ("The task id has the wrong form", "任务编号格式错误"),
    "lora_tag": (
        "LoRA tags don't work here; choose a model that was launched with the LoRA",
        "此处不支持 LoRA 标签；请选择加载了该 LoRA 的模型",
    ),
    "task_id_conflict": ("This task id is taken by other content", "该任务编号已用于其他内容"),
    "too_many_tasks": ("Too many generations are unfinished", "未完成的生成任务过多"),
    "too_many_connections": ("Too many connections are open", "打开的连接过多"),
    "model_not_found": ("There is no such model", "没有这个模型"),
    "model_unsuitable": ("This model can't make pictures from text", "该模型不能由文字生成图片"),
    "task_unfinished": ("This generation is not over; cancel it first", "该任务尚未结束，请先取消"),
    "storage_unavailable": ("The server can't store anything now", "服务器暂时无法保存数据"),
    "deleted": ("A generation was deleted", "一个生成任务已被删除"),
    "shutting_down": ("The server is shutting down", "服务器正在关闭"),
    "upstream_auth": ("The model server refuses our key", "模型服务器拒绝了密钥"),
    "upstream_unreachable": ("The model server can't be reached", "无法连接模型服务器"),
    "upstream_busy": ("The model server takes no more work now", "模型服务器暂时繁忙"),
    "upstream_died": ("The model stopped in the middle", "模型中途停止"),
    "upstream_failed": ("The model failed to make the picture", "模型生成图片失败"),
    "upstream_garbage": ("The model server's answer makes no sense", "模型服务器返回了无法识别的内容"),
    "timeout": ("The time for this generation is over", "生成已超时"),
    "internal": ("Something broke in the server", "服务器内部错误"),
    # Xinference, and what to do about it
    "upstream.ready": ("The model server is ready", "模型服务器已就绪"),
    "upstream.loading": ("Looking for the model server", "正在查找模型服务器"),
    "upstream.no_model": ("No model for pictures is running", "没有正在运行的图片模型"),
    "upstream.unreachable": ("The model server can't be reached", "无法连接模型服务器"),
    "upstream.unauthorised": ("The model server refuses our key", "模型服务器拒绝了密钥"),
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
        "Give an API key of Xinference in XINFLIGHT_API_KEY and start again",
        "请在 XINFLIGHT_API_KEY 中提供 Xinference 的 API 密钥并重新启动",
    ),
    # What has no words here
    "unknown": ("Something happened that this version has no words for", "发生了当前版本无法描述的情况"),
    "draining": ("The server is shutting down; come back in a moment", "服务器正在关闭，请稍后重新连接"),
}


def translate(key: str, lang: str) -> str:
    """Return the words for a key in a language of LANGUAGES.

    A key without words, like a code that another version of the server has stored, gets the general ones: an
    exception would end the connection that it is told on.
    """
    return _WORDS.get(key, _WORDS["unknown"])[LANGUAGES.index(lang)]


def choose_language(wanted: str | None, default: str) -> str:
    """Choose from an Accept-Language value, a single tag, or nothing (RFC 9110 section 12.5.4)."""
    asked = weights([wanted or ""])
    for tag in sorted(asked, key=asked.__getitem__, reverse=True):
        if asked[tag] == 0:
            break
        if tag == "zh" or tag.startswith("zh-"):
            return "zh-CN"
        if tag == "en" or tag.startswith("en-"):
            return "en"
    return default
