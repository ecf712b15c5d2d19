"""Figures and tables: run, save records, draw; prediction beside measurement."""
