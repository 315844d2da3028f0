"""Web services with an API of their own: FathomNet, Hugging Face Hub, Roboflow."""
