"""A trained net in forms that other programs run: ONNX, PyTorch, NumPy. Plain data in, text and bytes out."""
