"""Any network as an encoder: a user's own, an exported program, one of timm's or torchvision's."""
