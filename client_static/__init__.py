"""The browser side of xinflight: templates and assets, shipped inside the package."""
