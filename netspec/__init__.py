"""netspec: a compiler for declared neural networks."""
