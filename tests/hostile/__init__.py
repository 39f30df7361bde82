"""Lists, and a whole shop, that are hostile on purpose, and oracles that know what they hold."""
