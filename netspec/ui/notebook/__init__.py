"""What is shown in notebooks: models, progress while training, and the cell that holds a text."""
