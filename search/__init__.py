"""The architecture search around LightCNN and the evidence for what it finds."""
