"""The slow stages: from videos to arrays. Each writes one artifact a shard."""
