"""What the bench runs as whole processes, each by its path and with the interpreter of its own environment.

All of them find the shop in `SHOP_URL`, `SHOP_KEY` and `SHOP_SECRET`, and the folder to write to in `LANDING`.
"""
