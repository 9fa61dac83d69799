"""Build a tiny model with random weights that edits images (FLUX.1-Kontext): `tiny_edit_model.py FOLDER`.

Runs with the Xinference environment's Python, as `tiny_model.py` does. It is below a megabyte, with seeded weights.
Its outputs have a megapixel, whatever is asked for, which takes a core some seconds for a few steps.
"""

import sys

import torch  # type: ignore[import-not-found]
from diffusers import (  # type: ignore[import-not-found]
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxKontextPipeline,
    FluxTransformer2DModel,
)
from transformers import (  # type: ignore[import-not-found]
    CLIPTextConfig,
    CLIPTextModel,
    T5Config,
    T5EncoderModel,
)

from tiny_model import VOCABULARY, tokenizer

CLIP_TOKENS = 77


def main(folder: str) -> None:
    torch.manual_seed(0)
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=[4, 4, 8],
        guidance_embeds=True,
    )
    vae = AutoencoderKL(
        sample_size=32,
        block_out_channels=(4, 4, 4, 4),
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        layers_per_block=1,
        latent_channels=16,
        norm_num_groups=1,
        use_quant_conv=False,
        use_post_quant_conv=False,
        shift_factor=0.0609,
        scaling_factor=1.5035,
        mid_block_add_attention=False,
    )
    words = tokenizer()
    words.model_max_length = CLIP_TOKENS
    clip = CLIPTextConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=37,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=CLIP_TOKENS,
        projection_dim=32,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=1,
    )
    t5 = T5Config(vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
    FluxKontextPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae,
        text_encoder=CLIPTextModel(clip),
        tokenizer=words,
        text_encoder_2=T5EncoderModel(t5),
        tokenizer_2=tokenizer(),
        transformer=transformer,
    ).save_pretrained(folder)


if __name__ == "__main__":
    main(sys.argv[1])
