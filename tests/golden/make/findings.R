# Writes ../findings.json: numbers needed to treat, chances and information sizes from R's own distributions.
#
#   Rscript findings.R        (needs the R package jsonlite)
#
# The formulas of nnt are those of the function NNT of the R package dmetar, and its examples are among the cases.
suppressMessages(library(jsonlite))
here <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))))
cases <- rbind(data.frame(d = c(-0.123, 0.234, 0.123, 1.234, 0.12), cer = c(0.42, 0.35, 0.26, 0.21, 0.23)),
               expand.grid(d = c(-0.5, 0.1, 0.2, 0.5, 0.8, 2), cer = c(0.05, 0.2, 0.5, 0.9)))
cases$furukawa <- with(cases, 1 / (pnorm(d + qnorm(cer)) - cer))
cases$hasselblad_hedges <- with(cases, 1 / (plogis(qlogis(cer) + d * pi / sqrt(3)) - cer))
cases$cox_snell <- with(cases, 1 / (plogis(qlogis(cer) + 1.65 * d) - cer))
cases$kraemer_kupfer <- with(cases, 1 / (2 * pnorm(d / sqrt(2)) - 1))
cases$superiority <- with(cases, pnorm(d / sqrt(2)))
ratios <- expand.grid(risk = c(0.02, 0.3, 0.7), ratio = c(0.5, 0.92, 1.4))
ratios$RR <- with(ratios, pmin(1, risk * ratio))
ratios$OR <- with(ratios, ratio * risk / (1 - risk + ratio * risk))
ratios$HR <- with(ratios, 1 - (1 - risk)^ratio)
means <- data.frame(delta = c(0.2, 0.3, 0.5))
means$total <- sapply(means$delta, function(d) 2 * power.t.test(delta = d, sd = 1, power = 0.8)$n)
risks <- data.frame(p1 = c(0.2, 0.3, 0.5, 0.05), p2 = c(0.15, 0.225, 0.375, 0.0375))
risks$total <- mapply(function(a, b) 2 * power.prop.test(p1 = a, p2 = b, power = 0.8)$n, risks$p1, risks$p2)
write_json(list(source = list(call = "see make/findings.R", R = as.character(getRversion())), smd = cases, ratios = ratios,
                means = means, risks = risks), file.path(here, "..", "findings.json"), digits = I(15), dataframe = "rows")
