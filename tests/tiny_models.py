"""Build tiny models with random weights for video (Wan) and chat (Qwen2): `tiny_models.py VIDEO_FOLDER CHAT_FOLDER`.

Runs with the Xinference environment's Python, as `tiny_model.py` does. Both are below a megabyte; the weights are
seeded. Sides of a video are multiples of 16, and 256x256 is the largest useful one.
"""

import sys

import torch  # type: ignore[import-not-found]
from diffusers import (  # type: ignore[import-not-found]
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
)
from transformers import (  # type: ignore[import-not-found]
    GenerationConfig,
    Qwen2Config,
    Qwen2ForCausalLM,
    UMT5Config,
    UMT5EncoderModel,
)

from tiny_model import END_OF_TEXT, END_OF_TURN, VOCABULARY, tokenizer

CONTEXT = 4096


def build_video(folder: str) -> None:
    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=16,
        out_channels=16,
        text_dim=32,
        freq_dim=256,
        ffn_dim=32,
        num_layers=2,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=32,
    )
    vae = AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )
    text_encoder = UMT5EncoderModel(
        UMT5Config(vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
    )
    scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    WanPipeline(
        transformer=transformer, vae=vae, scheduler=scheduler, text_encoder=text_encoder, tokenizer=tokenizer()
    ).save_pretrained(folder)


def build_chat(folder: str) -> None:
    words = tokenizer()
    ends = {
        "bos_token_id": words.convert_tokens_to_ids(END_OF_TEXT),
        "eos_token_id": words.convert_tokens_to_ids(END_OF_TURN),
        "pad_token_id": words.convert_tokens_to_ids(END_OF_TEXT),
    }
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        **ends,
    )
    model = Qwen2ForCausalLM(config).eval()
    model.generation_config = GenerationConfig(**ends)
    model.save_pretrained(folder)
    words.save_pretrained(folder)


if __name__ == "__main__":
    torch.manual_seed(0)
    build_video(sys.argv[1])
    build_chat(sys.argv[2])
