"""The network and how one candidate is trained."""
