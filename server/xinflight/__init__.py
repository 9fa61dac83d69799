"""xinflight: one aiohttp process between people and their Xinference model servers."""
