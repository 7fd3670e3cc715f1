"""The report to look at: one HTML file a night, drawn from the marts, that opens from disk."""

from orchestration.pages.page import MARTS, write_page

__all__ = ["MARTS", "write_page"]
