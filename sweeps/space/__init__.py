"""Search spaces: parameters, ratios of parameters, and the limits that no trial may leave."""
