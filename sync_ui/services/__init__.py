"""What happens: one writing function is one use case, one transaction, one audit entry."""
