"""Networks of ``.vdc`` files as they are trained, and their export to what ``photo.vdc`` reads."""
