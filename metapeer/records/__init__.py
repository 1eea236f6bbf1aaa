"""Files in, validated tables out. What a row may hold stands in `schema`; nothing below knows how it is pooled."""
