"""Where SAM 3 plugs in: its own evaluation by two lines of its config, or its processor in a loop.

Its own evaluation: write the two lines that `saco prepare` printed into `eval_base.yaml` of the
SAM 3 repository (below `paths:`) and run it as its README says:

    paths:
      silver_img_path: /data/silver/images
      base_annotation_path_silver: /data/silver/annotations  # or annotations_partial, as printed

It leaves `silver_<subset>/dumps/silver_<subset>/coco_predictions_segm.json` in its log folder;
`saco eval FOLDER` computes the numbers of all subsets in it.

The loop below asks the model itself, and needs SAM 3, its weights and a GPU. Each picture is
encoded once for all its phrases: iNaturalist has 31 a picture.
Run it where the config is: python sam3_loop.py
"""

from sam3.model.sam3_image_processor import Sam3Processor  # the package of the SAM 3 repository
from sam3.model_builder import build_sam3_image_model

import saco_data as saco

subset = saco.load()["nga"]
processor = Sam3Processor(build_sam3_image_model(), confidence_threshold=0.3)
with saco.Predictions(f"{subset.name}.json") as out:
    for picture in subset.pictures():
        state = processor.set_image(picture.image())
        for item in picture.items:
            processor.reset_all_prompts(state)
            found = processor.set_text_prompt(state=state, prompt=item.phrase)
            masks = found["masks"].squeeze(1).cpu().numpy()  # [n, 1, height, width] before
            out.add(item, masks, found["scores"].float().cpu().numpy())
print(saco.evaluate(f"{subset.name}.json", subset))
