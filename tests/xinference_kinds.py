"""Launch models of other kinds on a real Xinference, for tests."""

import json
from typing import Any

import xinference_install
from xinference_real import RealXinference

ANIMATOR = "tiny-wan"
EDITOR = "tiny-kontext"
WRITER = "tiny-qwen2"
CONTEXT = 4096
_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def launch_animator(server: RealXinference) -> None:
    """Launch the tiny Wan (some 20 s). Video models can't be registered, so it takes the name of a built-in one."""
    body = {
        "model_uid": ANIMATOR,
        "model_name": "Wan2.1-1.3B",
        "model_type": "video",
        "model_path": str(xinference_install.kinds_path() / "video"),
        "torch_dtype": "float32",
    }
    server.admin("POST", "/v1/models", body)


def launch_editor(server: RealXinference) -> None:
    """Register and launch the tiny Kontext (some 10 s)."""
    path = str(xinference_install.edit_path())
    registration: dict[str, Any] = {
        "version": 2,
        "model_name": EDITOR,
        "model_family": "stable_diffusion",
        "model_id": None,
        "model_revision": None,
        "model_uri": path,
        "model_ability": ["image2image"],
        "controlnet": [],
        "default_model_config": {"torch_dtype": "float32"},
        "default_generate_config": {},
    }
    server.admin("POST", "/v1/model_registrations/image", {"model": json.dumps(registration), "persist": True})
    body = {"model_uid": EDITOR, "model_name": EDITOR, "model_type": "image", "model_path": path}
    server.admin("POST", "/v1/models", body)


def launch_writer(server: RealXinference) -> None:
    """Register and launch the tiny Qwen2 (some 10 s)."""
    path = str(xinference_install.kinds_path() / "chat")
    spec = {
        "model_format": "pytorch",
        "model_size_in_billions": "0_1",
        "quantization": "none",
        "quantizations": ["none"],
        "model_id": None,
        "model_uri": path,
    }
    registration: dict[str, Any] = {
        "version": 2,
        "context_length": CONTEXT,
        "model_name": WRITER,
        "model_lang": ["en"],
        "model_ability": ["chat", "generate"],
        "model_description": "random weights",
        "model_family": "other",
        "model_specs": [spec],
        "chat_template": _TEMPLATE,
        "stop_token_ids": [2],
        "stop": ["<|im_end|>"],
    }
    server.admin("POST", "/v1/model_registrations/LLM", {"model": json.dumps(registration), "persist": True})
    body = {
        "model_uid": WRITER,
        "model_name": WRITER,
        "model_type": "LLM",
        "model_engine": "transformers",
        "model_format": "pytorch",
        "model_size_in_billions": "0_1",
        "quantization": "none",
        "model_path": path,
        "torch_dtype": "float32",
    }
    server.admin("POST", "/v1/models", body)
