"""What every room uses: constants, errors, data files, run folders, plots."""
