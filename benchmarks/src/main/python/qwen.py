"""Qwen2-1.5B, made from its configuration with random weights that are the same each time: no network, no files."""
from common import Digest

from parking import need

torch, transformers, _ = need("torch", "transformers", "numpy")
PROMPT = 32
LAYERS = 28


def model(layers=LAYERS):
    config = transformers.Qwen2Config(
        vocab_size=151936, hidden_size=1536, intermediate_size=8960, num_hidden_layers=layers, num_attention_heads=12, num_key_value_heads=2,
        max_position_embeddings=32768, tie_word_embeddings=True)
    torch.manual_seed(7)
    torch.set_default_dtype(torch.bfloat16)
    torch.set_default_device("cuda")  # made there, as the CPU would take long
    try:
        made = transformers.Qwen2ForCausalLM(config)
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    return made.to("cuda").eval()


def generate(made, tokens):
    """Greedy: the tokens, and a digest of what they were chosen from."""
    torch.manual_seed(11)
    prompt = torch.randint(0, made.config.vocab_size, (1, PROMPT)).to("cuda")
    with torch.inference_mode():
        got = made.generate(
            prompt, attention_mask=torch.ones_like(prompt), do_sample=False, min_new_tokens=tokens, max_new_tokens=tokens, pad_token_id=0,
            return_dict_in_generate=True, output_logits=True)
    digest = Digest()
    for i, logits in enumerate(got.logits):
        digest.add(f"logits {i}", logits.float().cpu().numpy())
    return got.sequences[0, PROMPT:].tolist(), str(digest)
