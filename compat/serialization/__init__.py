"""What files may name, and what reading one may cost: the ground that everything else of compat stands on."""
