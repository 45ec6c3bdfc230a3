"""ZIP archives: members, deflate, directories. Nothing here knows wheels."""
