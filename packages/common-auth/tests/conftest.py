"""What the tests of common-auth share: the kits that it and common-core ship."""

pytest_plugins = ["common.auth.testing", "common.core.testing"]
