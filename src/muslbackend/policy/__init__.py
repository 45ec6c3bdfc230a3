"""Rules: findings about a wheel, the verdict about its tag, and the explanation of each code."""
