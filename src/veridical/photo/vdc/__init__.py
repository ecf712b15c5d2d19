"""The learned photo codec: transforms, integer prior, quantizers, and the ``.vdc`` file.

``quantizers`` is free of torch; everything else here runs networks.
"""
