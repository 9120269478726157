"""How to talk to each system, behind the contract of migration/contract.py."""
