"""metapeer: re-compute meta-analyses of peer support in mental health.

Pool effects (`effect_size`, `meta_analysis`, `subgroup_analysis`), re-run published reviews and set every printed
number beside its recomputation (`reproduce`), and read the bundled data (`load_dataset`), where every number has a
source. Names are loaded when first used, so that importing the package costs next to nothing.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metapeer.auditing.extraction import (
        audit,
    )
    from metapeer.auditing.extraction_report import (
        AuditReport,
    )
    from metapeer.auditing.findings import (
        Finding,
    )
    from metapeer.auditing.identify_analyses import (
        identify,
    )
    from metapeer.auditing.identify_results import (
        Identification,
    )
    from metapeer.auditing.published import (
        audit_published,
    )
    from metapeer.auditing.published_results import (
        PublishedAudit,
    )
    from metapeer.auditing.rounding_inputs import (
        RoundingRange,
        rounding_range,
    )
    from metapeer.effects.change import (
        correlation_from_sds,
        mean_change,
        pretest_posttest_control,
        raw_sd_from_change,
        sd_of_change,
        sd_of_change_from_t,
        standardised_mean_change,
    )
    from metapeer.effects.counts import (
        RecoveredCounts,
        TwoByTwo,
        recover_counts,
    )
    from metapeer.effects.designs import (
        adjust_over_icc,
        adjust_unit_of_analysis,
    )
    from metapeer.effects.intervals import (
        effect_from_interval,
        effect_from_p,
        sd_from_interval,
        sd_from_se,
        sd_from_t,
    )
    from metapeer.effects.margins import (
        MarginalCounts,
        counts_from_margins,
    )
    from metapeer.effects.moments import (
        MeanSD,
        SkewnessTest,
        mean_sd_from_quantiles,
        skewness_test,
    )
    from metapeer.effects.statistics import (
        ConvertedEffect,
        correlation_from_chi2,
        correlation_from_d,
        correlation_from_t,
        d_from_smd,
        log_odds_ratio_from_smd,
        smd_from_chi2,
        smd_from_correlation,
        smd_from_d,
        smd_from_f,
        smd_from_log_odds_ratio,
        smd_from_p,
        smd_from_point_biserial,
        smd_from_t,
        t_from_p,
        t_from_smd,
    )
    from metapeer.effects.table import effect_size
    from metapeer.effects.unit_of_analysis import (
        CombinedGroups,
        CrossoverEffect,
        combine_groups,
        crossover_difference,
        crossover_smd,
        design_effect,
        effective_sample_size,
    )
    from metapeer.errors import ChoiceError, ConvergenceError, DataError, DataWarning, MetapeerError
    from metapeer.living.adding import (
        AddResult,
        add_rows,
    )
    from metapeer.living.adding_corrections import (
        CorrectionResult,
        correct,
    )
    from metapeer.living.asking import (
        ask_trial,
    )
    from metapeer.living.folder import (
        init_review,
        load_review,
    )
    from metapeer.living.form import (
        read_form,
        write_form,
    )
    from metapeer.living.pooling_reviews import (
        pool_review,
    )
    from metapeer.living.preview import (
        conditional_power,
        extended_funnel_table,
        needed_trial_size,
        preview_trial,
    )
    from metapeer.living.preview_results import (
        NeededSize,
        PreviewResult,
    )
    from metapeer.living.prisma import (
        PrismaFlow,
        prisma_flow,
        write_prisma_template,
    )
    from metapeer.living.prisma_checklist import (
        LivingChecklist,
        living_checklist,
    )
    from metapeer.living.releasing import (
        Release,
        lock_review,
        release,
    )
    from metapeer.living.releasing_lock import (
        Lock,
    )
    from metapeer.living.sequential_information import (
        RequiredInformation,
        required_information_size,
    )
    from metapeer.living.sequential_models import (
        law_of_iterated_logarithm,
        sequential_meta_analysis,
    )
    from metapeer.living.sequential_results import (
        SequentialResult,
    )
    from metapeer.living.sequential_trials import (
        trial_sequential_analysis,
    )
    from metapeer.living.store import (
        history,
        undo,
    )
    from metapeer.living.update_designs import (
        IccSensitivity,
        icc_sensitivity,
    )
    from metapeer.living.update_outcome import (
        OutcomeChange,
        Share,
    )
    from metapeer.living.update_results import (
        Awaited,
        ReviewUpdate,
    )
    from metapeer.living.update_run import (
        diff,
        update,
    )
    from metapeer.living.verifying import (
        Verification,
        verify,
    )
    from metapeer.living.verifying_compare import (
        Difference,
    )
    from metapeer.plots.bubble import (
        bubble_plot,
    )
    from metapeer.plots.copas import (
        copas_plot,
    )
    from metapeer.plots.extended_funnel import (
        extended_funnel_plot,
    )
    from metapeer.plots.forest import forest_plot
    from metapeer.plots.p_curves import (
        p_curve_plot,
    )
    from metapeer.plots.prisma import (
        flow_plot,
    )
    from metapeer.plots.profile import (
        profile_plot,
    )
    from metapeer.plots.selection import (
        selection_plot,
    )
    from metapeer.plots.sequential import (
        sequential_plot,
    )
    from metapeer.plots.significance_funnel import (
        significance_funnel_plot,
    )
    from metapeer.plots.specification_curve import (
        specification_curve_plot,
    )
    from metapeer.plots.style import save_figure
    from metapeer.pooling.batch_models import (
        meta_analysis_batch,
    )
    from metapeer.pooling.batch_results import (
        BatchResult,
    )
    from metapeer.pooling.bayes_models import (
        BayesianMetaAnalysisResult,
        JointMode,
        PosteriorSummary,
        Shrinkage,
        bayesian_meta_analysis,
    )
    from metapeer.pooling.beta_binomial_models import (
        beta_binomial_meta_analysis,
    )
    from metapeer.pooling.count_results import (
        BetaBinomialResult,
        GlmmResult,
    )
    from metapeer.pooling.counts import (
        MantelHaenszelResult,
        back_transform,
        mantel_haenszel,
        peto,
    )
    from metapeer.pooling.covariance import (
        SamplingCovariance,
        covariance_from_blocks,
        covariance_from_matrix,
    )
    from metapeer.pooling.cumulative_models import (
        cumulative,
    )
    from metapeer.pooling.cumulative_results import (
        CumulativeResult,
    )
    from metapeer.pooling.dependence import (
        sampling_covariance,
    )
    from metapeer.pooling.dependence_description import (
        DependenceDescription,
        describe_dependence,
    )
    from metapeer.pooling.dependent import average_within_trial
    from metapeer.pooling.displays_bias import (
        risk_of_bias_plot,
    )
    from metapeer.pooling.displays_counts import (
        labbe_plot,
    )
    from metapeer.pooling.displays_groups import (
        orchard_plot,
    )
    from metapeer.pooling.displays_pairs import (
        agreement_plot,
        before_after_plot,
    )
    from metapeer.pooling.displays_tau import (
        tau_posterior_plot,
    )
    from metapeer.pooling.empirical_priors import (
        rhodes,
        turner,
    )
    from metapeer.pooling.exceedance_results import (
        ExceedanceResult,
    )
    from metapeer.pooling.fhir import (
        fhir_evidence,
    )
    from metapeer.pooling.glmm_models import (
        glmm_meta_analysis,
    )
    from metapeer.pooling.intervals import Interval
    from metapeer.pooling.location_scale_models import (
        LocationScaleResult,
        location_scale,
    )
    from metapeer.pooling.models import meta_analysis
    from metapeer.pooling.multilevel_comparison import (
        LikelihoodRatioTest,
    )
    from metapeer.pooling.multilevel_models import (
        multilevel_meta_analysis,
    )
    from metapeer.pooling.multilevel_results import (
        MultilevelResult,
    )
    from metapeer.pooling.multiplicity import (
        AdjustedPValues,
        adjust_p_values,
    )
    from metapeer.pooling.outcome_classes import (
        contrast_outcome_classes,
    )
    from metapeer.pooling.outcome_classes_results import (
        ClassContrast,
        OutcomeClassContrast,
    )
    from metapeer.pooling.outcomes import (
        OutcomesResult,
        pool_outcomes,
    )
    from metapeer.pooling.priors import (
        half_cauchy,
        half_normal,
        half_t,
        log_normal,
        log_t,
        lomax,
        normal,
        uniform,
    )
    from metapeer.pooling.r_script import (
        metafor_script,
    )
    from metapeer.pooling.regression_comparisons import (
        ModelComparison,
        PermutationTest,
    )
    from metapeer.pooling.regression_models import (
        meta_regression,
    )
    from metapeer.pooling.regression_results import (
        MetaRegressionResult,
    )
    from metapeer.pooling.results import MetaAnalysisResult
    from metapeer.pooling.robust import (
        WorkingModel,
    )
    from metapeer.pooling.robust_models import (
        cluster_robust,
    )
    from metapeer.pooling.robust_results import (
        ClusterRobustResult,
    )
    from metapeer.pooling.robust_rve import (
        RobustVarianceResult,
        robust_variance_estimation,
    )
    from metapeer.pooling.robust_tests import (
        WildBootstrapTest,
    )
    from metapeer.pooling.robust_wald import (
        RobustWald,
    )
    from metapeer.pooling.subgroups import SubgroupAnalysisResult, subgroup_analysis
    from metapeer.records.catalog import (
        Review,
        datasets_root,
        list_datasets,
        load_claims,
        load_dataset,
        load_instruments,
    )
    from metapeer.records.csvfile import read_outcomes
    from metapeer.records.interchange.door import (
        read_extraction,
    )
    from metapeer.records.interchange.export import (
        write_metapsy,
        write_table_as,
    )
    from metapeer.records.interchange.metapsy import (
        read_metapsy,
    )
    from metapeer.records.overrides import apply_overrides
    from metapeer.reporting.findings_models import (
        summary_of_findings,
    )
    from metapeer.reporting.findings_results import (
        DomainRating,
        OutcomeFindings,
        SummaryOfFindings,
    )
    from metapeer.reporting.report_door import (
        report,
    )
    from metapeer.reporting.report_result import (
        Report,
    )
    from metapeer.reproduction.ledger import Ledger
    from metapeer.reproduction.run import reproduce
    from metapeer.reproduction.transcribe import check_transcription, write_transcription_template
    from metapeer.sensitivity.asymmetry_count_models import (
        deeks_test,
        harbord_test,
        peters_test,
        schwarzer_test,
    )
    from metapeer.sensitivity.asymmetry_funnel import (
        funnel_plot,
    )
    from metapeer.sensitivity.asymmetry_models import (
        begg_test,
        egger_test,
        macaskill_test,
        thompson_test,
    )
    from metapeer.sensitivity.asymmetry_results import (
        AsymmetryTestResult,
    )
    from metapeer.sensitivity.bias_summary_models import (
        bias_summary,
    )
    from metapeer.sensitivity.bias_summary_results import (
        BiasSummary,
    )
    from metapeer.sensitivity.copas_models import (
        copas_model,
    )
    from metapeer.sensitivity.copas_results import (
        CopasResult,
    )
    from metapeer.sensitivity.deletion_models import (
        leave_one_out,
    )
    from metapeer.sensitivity.deletion_results import (
        LeaveOneOutResult,
    )
    from metapeer.sensitivity.displays_effects import (
        drapery_plot,
        galbraith_plot,
        rainforest_plot,
    )
    from metapeer.sensitivity.excess_significance_results import (
        ExcessSignificanceResult,
        excess_significance_test,
    )
    from metapeer.sensitivity.fail_safe_models import (
        FailSafeResult,
        fail_safe_n,
    )
    from metapeer.sensitivity.gosh_models import (
        gosh,
    )
    from metapeer.sensitivity.gosh_results import (
        GoshClusters,
        GoshResult,
    )
    from metapeer.sensitivity.influence_clusters import (
        ClusterInfluenceResult,
    )
    from metapeer.sensitivity.influence_models import (
        influence,
        outliers,
    )
    from metapeer.sensitivity.influence_predictions import (
        BlupResult,
        blup,
    )
    from metapeer.sensitivity.influence_results import (
        InfluenceResult,
        OutliersResult,
    )
    from metapeer.sensitivity.limit_models import (
        limit_meta_analysis,
    )
    from metapeer.sensitivity.limit_results import (
        LimitMetaAnalysisResult,
    )
    from metapeer.sensitivity.multiverse_choices import (
        choose_corrections,
        choose_option,
        choose_outliers,
        choose_rows,
        choose_tables,
        choose_timepoint,
        choose_where,
    )
    from metapeer.sensitivity.multiverse_models import (
        multiverse,
    )
    from metapeer.sensitivity.multiverse_null import (
        MultiverseTest,
        multiverse_test,
    )
    from metapeer.sensitivity.multiverse_results import (
        MultiverseResult,
    )
    from metapeer.sensitivity.p_curve_results import (
        PCurveResult,
        p_curve,
    )
    from metapeer.sensitivity.p_uniform_results import (
        PUniformResult,
        PUniformStarResult,
        p_uniform,
        p_uniform_star,
    )
    from metapeer.sensitivity.pet_peese_models import (
        pet_peese,
    )
    from metapeer.sensitivity.pet_peese_results import (
        PetPeeseResult,
    )
    from metapeer.sensitivity.power_comparisons import (
        power_moderator,
        power_subgroup,
    )
    from metapeer.sensitivity.power_dependence import (
        power_dependent_effects,
    )
    from metapeer.sensitivity.power_models import (
        power_curve,
        power_meta_analysis,
    )
    from metapeer.sensitivity.power_of_q import (
        power_heterogeneity,
    )
    from metapeer.sensitivity.power_results import (
        PowerCurve,
        PowerResult,
        PowerSearch,
    )
    from metapeer.sensitivity.power_searches import (
        detectable_effect,
        studies_needed,
    )
    from metapeer.sensitivity.power_trials import (
        TrialPowerResult,
        trial_power,
    )
    from metapeer.sensitivity.reporting_bias_results import (
        ReportingBiasResult,
        outcome_reporting_bias,
    )
    from metapeer.sensitivity.selection_models import (
        selection_model,
    )
    from metapeer.sensitivity.selection_results import (
        SelectionModelResult,
    )
    from metapeer.sensitivity.simulation_draws import (
        Draw,
    )
    from metapeer.sensitivity.simulation_models import (
        simulation_study,
    )
    from metapeer.sensitivity.simulation_results import (
        SimulationResult,
    )
    from metapeer.sensitivity.trim_fill_models import (
        trim_and_fill,
    )
    from metapeer.sensitivity.trim_fill_results import (
        TrimFillResult,
    )
    from metapeer.sensitivity.waap_results import (
        WaapResult,
        waap_wls,
    )
    from metapeer.sensitivity.worst_case_results import (
        PublicationBiasSensitivity,
        WorstCaseResult,
        publication_bias_sensitivity,
        worst_case,
    )

_HOMES = {
    "AddResult": "living.adding",
    "AdjustedPValues": "pooling.multiplicity",
    "AsymmetryTestResult": "sensitivity.asymmetry_results",
    "AuditReport": "auditing.extraction_report",
    "Awaited": "living.update_results",
    "BatchResult": "pooling.batch_results",
    "BayesianMetaAnalysisResult": "pooling.bayes_models",
    "BetaBinomialResult": "pooling.count_results",
    "BiasSummary": "sensitivity.bias_summary_results",
    "BlupResult": "sensitivity.influence_predictions",
    "ChoiceError": "errors",
    "ClassContrast": "pooling.outcome_classes_results",
    "ClusterInfluenceResult": "sensitivity.influence_clusters",
    "ClusterRobustResult": "pooling.robust_results",
    "CombinedGroups": "effects.unit_of_analysis",
    "ConvergenceError": "errors",
    "ConvertedEffect": "effects.statistics",
    "CopasResult": "sensitivity.copas_results",
    "CorrectionResult": "living.adding_corrections",
    "CrossoverEffect": "effects.unit_of_analysis",
    "CumulativeResult": "pooling.cumulative_results",
    "DataError": "errors",
    "DataWarning": "errors",
    "DependenceDescription": "pooling.dependence_description",
    "Difference": "living.verifying_compare",
    "DomainRating": "reporting.findings_results",
    "Draw": "sensitivity.simulation_draws",
    "ExceedanceResult": "pooling.exceedance_results",
    "ExcessSignificanceResult": "sensitivity.excess_significance_results",
    "FailSafeResult": "sensitivity.fail_safe_models",
    "Finding": "auditing.findings",
    "GlmmResult": "pooling.count_results",
    "GoshClusters": "sensitivity.gosh_results",
    "GoshResult": "sensitivity.gosh_results",
    "IccSensitivity": "living.update_designs",
    "Identification": "auditing.identify_results",
    "InfluenceResult": "sensitivity.influence_results",
    "Interval": "pooling.intervals",
    "JointMode": "pooling.bayes_models",
    "LeaveOneOutResult": "sensitivity.deletion_results",
    "Ledger": "reproduction.ledger",
    "LikelihoodRatioTest": "pooling.multilevel_comparison",
    "LimitMetaAnalysisResult": "sensitivity.limit_results",
    "LivingChecklist": "living.prisma_checklist",
    "LocationScaleResult": "pooling.location_scale_models",
    "Lock": "living.releasing_lock",
    "MantelHaenszelResult": "pooling.counts",
    "MarginalCounts": "effects.margins",
    "MeanSD": "effects.moments",
    "MetaAnalysisResult": "pooling.results",
    "MetaRegressionResult": "pooling.regression_results",
    "MetapeerError": "errors",
    "ModelComparison": "pooling.regression_comparisons",
    "MultilevelResult": "pooling.multilevel_results",
    "MultiverseResult": "sensitivity.multiverse_results",
    "MultiverseTest": "sensitivity.multiverse_null",
    "NeededSize": "living.preview_results",
    "OutcomeChange": "living.update_outcome",
    "OutcomeClassContrast": "pooling.outcome_classes_results",
    "OutcomeFindings": "reporting.findings_results",
    "OutcomesResult": "pooling.outcomes",
    "OutliersResult": "sensitivity.influence_results",
    "PCurveResult": "sensitivity.p_curve_results",
    "PUniformResult": "sensitivity.p_uniform_results",
    "PUniformStarResult": "sensitivity.p_uniform_results",
    "PermutationTest": "pooling.regression_comparisons",
    "PetPeeseResult": "sensitivity.pet_peese_results",
    "PosteriorSummary": "pooling.bayes_models",
    "PowerCurve": "sensitivity.power_results",
    "PowerResult": "sensitivity.power_results",
    "PowerSearch": "sensitivity.power_results",
    "PreviewResult": "living.preview_results",
    "PrismaFlow": "living.prisma",
    "PublicationBiasSensitivity": "sensitivity.worst_case_results",
    "PublishedAudit": "auditing.published_results",
    "RecoveredCounts": "effects.counts",
    "Release": "living.releasing",
    "Report": "reporting.report_result",
    "ReportingBiasResult": "sensitivity.reporting_bias_results",
    "RequiredInformation": "living.sequential_information",
    "Review": "records.catalog",
    "ReviewUpdate": "living.update_results",
    "RobustVarianceResult": "pooling.robust_rve",
    "RobustWald": "pooling.robust_wald",
    "RoundingRange": "auditing.rounding_inputs",
    "SamplingCovariance": "pooling.covariance",
    "SelectionModelResult": "sensitivity.selection_results",
    "SequentialResult": "living.sequential_results",
    "Share": "living.update_outcome",
    "Shrinkage": "pooling.bayes_models",
    "SimulationResult": "sensitivity.simulation_results",
    "SkewnessTest": "effects.moments",
    "SubgroupAnalysisResult": "pooling.subgroups",
    "SummaryOfFindings": "reporting.findings_results",
    "TrialPowerResult": "sensitivity.power_trials",
    "TrimFillResult": "sensitivity.trim_fill_results",
    "TwoByTwo": "effects.counts",
    "Verification": "living.verifying",
    "WaapResult": "sensitivity.waap_results",
    "WildBootstrapTest": "pooling.robust_tests",
    "WorkingModel": "pooling.robust",
    "WorstCaseResult": "sensitivity.worst_case_results",
    "add_rows": "living.adding",
    "adjust_over_icc": "effects.designs",
    "adjust_p_values": "pooling.multiplicity",
    "adjust_unit_of_analysis": "effects.designs",
    "agreement_plot": "pooling.displays_pairs",
    "apply_overrides": "records.overrides",
    "ask_trial": "living.asking",
    "audit": "auditing.extraction",
    "audit_published": "auditing.published",
    "average_within_trial": "pooling.dependent",
    "back_transform": "pooling.counts",
    "bayesian_meta_analysis": "pooling.bayes_models",
    "before_after_plot": "pooling.displays_pairs",
    "begg_test": "sensitivity.asymmetry_models",
    "beta_binomial_meta_analysis": "pooling.beta_binomial_models",
    "bias_summary": "sensitivity.bias_summary_models",
    "blup": "sensitivity.influence_predictions",
    "bubble_plot": "plots.bubble",
    "check_transcription": "reproduction.transcribe",
    "choose_corrections": "sensitivity.multiverse_choices",
    "choose_option": "sensitivity.multiverse_choices",
    "choose_outliers": "sensitivity.multiverse_choices",
    "choose_rows": "sensitivity.multiverse_choices",
    "choose_tables": "sensitivity.multiverse_choices",
    "choose_timepoint": "sensitivity.multiverse_choices",
    "choose_where": "sensitivity.multiverse_choices",
    "cluster_robust": "pooling.robust_models",
    "combine_groups": "effects.unit_of_analysis",
    "conditional_power": "living.preview",
    "contrast_outcome_classes": "pooling.outcome_classes",
    "copas_model": "sensitivity.copas_models",
    "copas_plot": "plots.copas",
    "correct": "living.adding_corrections",
    "correlation_from_chi2": "effects.statistics",
    "correlation_from_d": "effects.statistics",
    "correlation_from_sds": "effects.change",
    "correlation_from_t": "effects.statistics",
    "counts_from_margins": "effects.margins",
    "covariance_from_blocks": "pooling.covariance",
    "covariance_from_matrix": "pooling.covariance",
    "crossover_difference": "effects.unit_of_analysis",
    "crossover_smd": "effects.unit_of_analysis",
    "cumulative": "pooling.cumulative_models",
    "d_from_smd": "effects.statistics",
    "datasets_root": "records.catalog",
    "deeks_test": "sensitivity.asymmetry_count_models",
    "describe_dependence": "pooling.dependence_description",
    "design_effect": "effects.unit_of_analysis",
    "detectable_effect": "sensitivity.power_searches",
    "diff": "living.update_run",
    "drapery_plot": "sensitivity.displays_effects",
    "effect_from_interval": "effects.intervals",
    "effect_from_p": "effects.intervals",
    "effect_size": "effects.table",
    "effective_sample_size": "effects.unit_of_analysis",
    "egger_test": "sensitivity.asymmetry_models",
    "excess_significance_test": "sensitivity.excess_significance_results",
    "extended_funnel_plot": "plots.extended_funnel",
    "extended_funnel_table": "living.preview",
    "fail_safe_n": "sensitivity.fail_safe_models",
    "fhir_evidence": "pooling.fhir",
    "flow_plot": "plots.prisma",
    "forest_plot": "plots.forest",
    "funnel_plot": "sensitivity.asymmetry_funnel",
    "galbraith_plot": "sensitivity.displays_effects",
    "glmm_meta_analysis": "pooling.glmm_models",
    "gosh": "sensitivity.gosh_models",
    "half_cauchy": "pooling.priors",
    "half_normal": "pooling.priors",
    "half_t": "pooling.priors",
    "harbord_test": "sensitivity.asymmetry_count_models",
    "history": "living.store",
    "icc_sensitivity": "living.update_designs",
    "identify": "auditing.identify_analyses",
    "influence": "sensitivity.influence_models",
    "init_review": "living.folder",
    "labbe_plot": "pooling.displays_counts",
    "law_of_iterated_logarithm": "living.sequential_models",
    "leave_one_out": "sensitivity.deletion_models",
    "limit_meta_analysis": "sensitivity.limit_models",
    "list_datasets": "records.catalog",
    "living_checklist": "living.prisma_checklist",
    "load_claims": "records.catalog",
    "load_dataset": "records.catalog",
    "load_instruments": "records.catalog",
    "load_review": "living.folder",
    "location_scale": "pooling.location_scale_models",
    "lock_review": "living.releasing",
    "log_normal": "pooling.priors",
    "log_odds_ratio_from_smd": "effects.statistics",
    "log_t": "pooling.priors",
    "lomax": "pooling.priors",
    "macaskill_test": "sensitivity.asymmetry_models",
    "mantel_haenszel": "pooling.counts",
    "mean_change": "effects.change",
    "mean_sd_from_quantiles": "effects.moments",
    "meta_analysis": "pooling.models",
    "meta_analysis_batch": "pooling.batch_models",
    "meta_regression": "pooling.regression_models",
    "metafor_script": "pooling.r_script",
    "multilevel_meta_analysis": "pooling.multilevel_models",
    "multiverse": "sensitivity.multiverse_models",
    "multiverse_test": "sensitivity.multiverse_null",
    "needed_trial_size": "living.preview",
    "normal": "pooling.priors",
    "orchard_plot": "pooling.displays_groups",
    "outcome_reporting_bias": "sensitivity.reporting_bias_results",
    "outliers": "sensitivity.influence_models",
    "p_curve": "sensitivity.p_curve_results",
    "p_curve_plot": "plots.p_curves",
    "p_uniform": "sensitivity.p_uniform_results",
    "p_uniform_star": "sensitivity.p_uniform_results",
    "pet_peese": "sensitivity.pet_peese_models",
    "peters_test": "sensitivity.asymmetry_count_models",
    "peto": "pooling.counts",
    "pool_outcomes": "pooling.outcomes",
    "pool_review": "living.pooling_reviews",
    "power_curve": "sensitivity.power_models",
    "power_dependent_effects": "sensitivity.power_dependence",
    "power_heterogeneity": "sensitivity.power_of_q",
    "power_meta_analysis": "sensitivity.power_models",
    "power_moderator": "sensitivity.power_comparisons",
    "power_subgroup": "sensitivity.power_comparisons",
    "pretest_posttest_control": "effects.change",
    "preview_trial": "living.preview",
    "prisma_flow": "living.prisma",
    "profile_plot": "plots.profile",
    "publication_bias_sensitivity": "sensitivity.worst_case_results",
    "rainforest_plot": "sensitivity.displays_effects",
    "raw_sd_from_change": "effects.change",
    "read_extraction": "records.interchange.door",
    "read_form": "living.form",
    "read_metapsy": "records.interchange.metapsy",
    "read_outcomes": "records.csvfile",
    "recover_counts": "effects.counts",
    "release": "living.releasing",
    "report": "reporting.report_door",
    "reproduce": "reproduction.run",
    "required_information_size": "living.sequential_information",
    "rhodes": "pooling.empirical_priors",
    "risk_of_bias_plot": "pooling.displays_bias",
    "robust_variance_estimation": "pooling.robust_rve",
    "rounding_range": "auditing.rounding_inputs",
    "sampling_covariance": "pooling.dependence",
    "save_figure": "plots.style",
    "schwarzer_test": "sensitivity.asymmetry_count_models",
    "sd_from_interval": "effects.intervals",
    "sd_from_se": "effects.intervals",
    "sd_from_t": "effects.intervals",
    "sd_of_change": "effects.change",
    "sd_of_change_from_t": "effects.change",
    "selection_model": "sensitivity.selection_models",
    "selection_plot": "plots.selection",
    "sequential_meta_analysis": "living.sequential_models",
    "sequential_plot": "plots.sequential",
    "significance_funnel_plot": "plots.significance_funnel",
    "simulation_study": "sensitivity.simulation_models",
    "skewness_test": "effects.moments",
    "smd_from_chi2": "effects.statistics",
    "smd_from_correlation": "effects.statistics",
    "smd_from_d": "effects.statistics",
    "smd_from_f": "effects.statistics",
    "smd_from_log_odds_ratio": "effects.statistics",
    "smd_from_p": "effects.statistics",
    "smd_from_point_biserial": "effects.statistics",
    "smd_from_t": "effects.statistics",
    "specification_curve_plot": "plots.specification_curve",
    "standardised_mean_change": "effects.change",
    "studies_needed": "sensitivity.power_searches",
    "subgroup_analysis": "pooling.subgroups",
    "summary_of_findings": "reporting.findings_models",
    "t_from_p": "effects.statistics",
    "t_from_smd": "effects.statistics",
    "tau_posterior_plot": "pooling.displays_tau",
    "thompson_test": "sensitivity.asymmetry_models",
    "trial_power": "sensitivity.power_trials",
    "trial_sequential_analysis": "living.sequential_trials",
    "trim_and_fill": "sensitivity.trim_fill_models",
    "turner": "pooling.empirical_priors",
    "undo": "living.store",
    "uniform": "pooling.priors",
    "update": "living.update_run",
    "verify": "living.verifying",
    "waap_wls": "sensitivity.waap_results",
    "worst_case": "sensitivity.worst_case_results",
    "write_form": "living.form",
    "write_metapsy": "records.interchange.export",
    "write_prisma_template": "living.prisma",
    "write_table_as": "records.interchange.export",
    "write_transcription_template": "reproduction.transcribe",
}

__all__ = [
    "AddResult",
    "AdjustedPValues",
    "AsymmetryTestResult",
    "AuditReport",
    "Awaited",
    "BatchResult",
    "BayesianMetaAnalysisResult",
    "BetaBinomialResult",
    "BiasSummary",
    "BlupResult",
    "ChoiceError",
    "ClassContrast",
    "ClusterInfluenceResult",
    "ClusterRobustResult",
    "CombinedGroups",
    "ConvergenceError",
    "ConvertedEffect",
    "CopasResult",
    "CorrectionResult",
    "CrossoverEffect",
    "CumulativeResult",
    "DataError",
    "DataWarning",
    "DependenceDescription",
    "Difference",
    "DomainRating",
    "Draw",
    "ExceedanceResult",
    "ExcessSignificanceResult",
    "FailSafeResult",
    "Finding",
    "GlmmResult",
    "GoshClusters",
    "GoshResult",
    "IccSensitivity",
    "Identification",
    "InfluenceResult",
    "Interval",
    "JointMode",
    "LeaveOneOutResult",
    "Ledger",
    "LikelihoodRatioTest",
    "LimitMetaAnalysisResult",
    "LivingChecklist",
    "LocationScaleResult",
    "Lock",
    "MantelHaenszelResult",
    "MarginalCounts",
    "MeanSD",
    "MetaAnalysisResult",
    "MetaRegressionResult",
    "MetapeerError",
    "ModelComparison",
    "MultilevelResult",
    "MultiverseResult",
    "MultiverseTest",
    "NeededSize",
    "OutcomeChange",
    "OutcomeClassContrast",
    "OutcomeFindings",
    "OutcomesResult",
    "OutliersResult",
    "PCurveResult",
    "PUniformResult",
    "PUniformStarResult",
    "PermutationTest",
    "PetPeeseResult",
    "PosteriorSummary",
    "PowerCurve",
    "PowerResult",
    "PowerSearch",
    "PreviewResult",
    "PrismaFlow",
    "PublicationBiasSensitivity",
    "PublishedAudit",
    "RecoveredCounts",
    "Release",
    "Report",
    "ReportingBiasResult",
    "RequiredInformation",
    "Review",
    "ReviewUpdate",
    "RobustVarianceResult",
    "RobustWald",
    "RoundingRange",
    "SamplingCovariance",
    "SelectionModelResult",
    "SequentialResult",
    "Share",
    "Shrinkage",
    "SimulationResult",
    "SkewnessTest",
    "SubgroupAnalysisResult",
    "SummaryOfFindings",
    "TrialPowerResult",
    "TrimFillResult",
    "TwoByTwo",
    "Verification",
    "WaapResult",
    "WildBootstrapTest",
    "WorkingModel",
    "WorstCaseResult",
    "__version__",
    "add_rows",
    "adjust_over_icc",
    "adjust_p_values",
    "adjust_unit_of_analysis",
    "agreement_plot",
    "apply_overrides",
    "ask_trial",
    "audit",
    "audit_published",
    "average_within_trial",
    "back_transform",
    "bayesian_meta_analysis",
    "before_after_plot",
    "begg_test",
    "beta_binomial_meta_analysis",
    "bias_summary",
    "blup",
    "bubble_plot",
    "check_transcription",
    "choose_corrections",
    "choose_option",
    "choose_outliers",
    "choose_rows",
    "choose_tables",
    "choose_timepoint",
    "choose_where",
    "cluster_robust",
    "combine_groups",
    "conditional_power",
    "contrast_outcome_classes",
    "copas_model",
    "copas_plot",
    "correct",
    "correlation_from_chi2",
    "correlation_from_d",
    "correlation_from_sds",
    "correlation_from_t",
    "counts_from_margins",
    "covariance_from_blocks",
    "covariance_from_matrix",
    "crossover_difference",
    "crossover_smd",
    "cumulative",
    "d_from_smd",
    "datasets_root",
    "deeks_test",
    "describe_dependence",
    "design_effect",
    "detectable_effect",
    "diff",
    "drapery_plot",
    "effect_from_interval",
    "effect_from_p",
    "effect_size",
    "effective_sample_size",
    "egger_test",
    "excess_significance_test",
    "extended_funnel_plot",
    "extended_funnel_table",
    "fail_safe_n",
    "fhir_evidence",
    "flow_plot",
    "forest_plot",
    "funnel_plot",
    "galbraith_plot",
    "glmm_meta_analysis",
    "gosh",
    "half_cauchy",
    "half_normal",
    "half_t",
    "harbord_test",
    "history",
    "icc_sensitivity",
    "identify",
    "influence",
    "init_review",
    "labbe_plot",
    "law_of_iterated_logarithm",
    "leave_one_out",
    "limit_meta_analysis",
    "list_datasets",
    "living_checklist",
    "load_claims",
    "load_dataset",
    "load_instruments",
    "load_review",
    "location_scale",
    "lock_review",
    "log_normal",
    "log_odds_ratio_from_smd",
    "log_t",
    "lomax",
    "macaskill_test",
    "mantel_haenszel",
    "mean_change",
    "mean_sd_from_quantiles",
    "meta_analysis",
    "meta_analysis_batch",
    "meta_regression",
    "metafor_script",
    "multilevel_meta_analysis",
    "multiverse",
    "multiverse_test",
    "needed_trial_size",
    "normal",
    "orchard_plot",
    "outcome_reporting_bias",
    "outliers",
    "p_curve",
    "p_curve_plot",
    "p_uniform",
    "p_uniform_star",
    "pet_peese",
    "peters_test",
    "peto",
    "pool_outcomes",
    "pool_review",
    "power_curve",
    "power_dependent_effects",
    "power_heterogeneity",
    "power_meta_analysis",
    "power_moderator",
    "power_subgroup",
    "pretest_posttest_control",
    "preview_trial",
    "prisma_flow",
    "profile_plot",
    "publication_bias_sensitivity",
    "rainforest_plot",
    "raw_sd_from_change",
    "read_extraction",
    "read_form",
    "read_metapsy",
    "read_outcomes",
    "recover_counts",
    "release",
    "report",
    "reproduce",
    "required_information_size",
    "rhodes",
    "risk_of_bias_plot",
    "robust_variance_estimation",
    "rounding_range",
    "sampling_covariance",
    "save_figure",
    "schwarzer_test",
    "sd_from_interval",
    "sd_from_se",
    "sd_from_t",
    "sd_of_change",
    "sd_of_change_from_t",
    "selection_model",
    "selection_plot",
    "sequential_meta_analysis",
    "sequential_plot",
    "significance_funnel_plot",
    "simulation_study",
    "skewness_test",
    "smd_from_chi2",
    "smd_from_correlation",
    "smd_from_d",
    "smd_from_f",
    "smd_from_log_odds_ratio",
    "smd_from_p",
    "smd_from_point_biserial",
    "smd_from_t",
    "specification_curve_plot",
    "standardised_mean_change",
    "studies_needed",
    "subgroup_analysis",
    "summary_of_findings",
    "t_from_p",
    "t_from_smd",
    "tau_posterior_plot",
    "thompson_test",
    "trial_power",
    "trial_sequential_analysis",
    "trim_and_fill",
    "turner",
    "undo",
    "uniform",
    "update",
    "verify",
    "waap_wls",
    "worst_case",
    "write_form",
    "write_metapsy",
    "write_prisma_template",
    "write_table_as",
    "write_transcription_template",
]

__version__ = version("metapeer")


def __getattr__(name: str) -> object:
    """Load a name of the front door when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'metapeer' has no attribute {name!r}")
    value = getattr(import_module(f"metapeer.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
