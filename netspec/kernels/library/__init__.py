"""Kernels that are the same for every net. Their files are the source that the store compiles, for float32 as they stand."""
