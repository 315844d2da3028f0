"""The official name and flags: `python sav_evaluator.py --gt_root FOLDER --pred_root FOLDER`."""

from saco_data.cli.sav_evaluator import main

if __name__ == "__main__":
    main()
