"""What a policy does otherwise than another, decision by decision and workflow by workflow."""
