"""From files of the landing zone to committed loads of Parquet: only new content, nothing lost."""
