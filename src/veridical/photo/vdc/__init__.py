"""The ``.vdc`` codec: entropy model in whole numbers, quantizers, encoder, decoder and coded image."""
