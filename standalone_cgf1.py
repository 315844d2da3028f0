"""The official name and flags: `python standalone_cgf1.py --pred_file P --gt_files G [G G]`."""

from saco_data.cli.evaluate import standalone

if __name__ == "__main__":
    standalone()
