"""Parts of the day about who gets in: sessions and their ends, machines with API keys, guessers, a changed trail."""
