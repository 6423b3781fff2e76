"""What does the work: keys, subscriptions, the outbox and its senders."""
