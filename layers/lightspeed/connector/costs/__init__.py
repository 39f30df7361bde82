"""What a stack costs at AWS."""
