"""The storefront API: parse, call one service, show what came of it."""
