include: "workflow/rules/settings.smk"
include: "workflow/rules/film.smk"
include: "workflow/rules/brain.smk"
# fmt: off
include: "workflow/rules/model.smk", overwrite_default_target=True
# fmt: on
include: "workflow/rules/folds.smk"
include: "workflow/rules/score.smk"
include: "workflow/rules/levels.smk"
include: "workflow/rules/lesion.smk"
include: "workflow/rules/prior.smk"
include: "workflow/rules/searchlight.smk"
include: "workflow/rules/generalisation.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/export.smk"
include: "workflow/rules/codec.smk"
include: "workflow/rules/watching.smk"
