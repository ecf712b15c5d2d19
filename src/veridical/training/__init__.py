"""Training loops: resumable, the same code on a CPU, one GPU or many hosts."""
