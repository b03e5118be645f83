"""Who a holder is."""
