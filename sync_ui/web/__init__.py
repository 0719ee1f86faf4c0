"""What people see: guard, form, one service call, one template."""
