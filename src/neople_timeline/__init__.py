"""Every timeline event of your Dungeon & Fighter characters: once, proven, queryable."""
