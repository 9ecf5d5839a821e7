"""Groups to compiled kernels: source emission, the tile kernels in vector IR, the cache on disk, and the launches that use them."""
