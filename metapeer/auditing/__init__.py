"""Is the input right? An extraction table or printed results come in; findings with their evidence leave."""
