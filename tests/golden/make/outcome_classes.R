# Contrasts of outcome classes with metafor's rma.mv and clubSandwich: the rows of smit2023 that metapeer pools.
#
#   Rscript outcome_classes.R ../outcome_classes.json    fits all models to the stored rows and stores what they give
#
# `data` and `covariances` (row, column, sampling covariance, for each rho) were exported from metapeer; they stay as they are.

suppressMessages({library(metafor); library(clubSandwich); library(jsonlite)})
args <- commandArgs(trailingOnly = TRUE)
golden <- fromJSON(args[1], simplifyVector = TRUE, simplifyMatrix = TRUE)
D <- as.data.frame(lapply(golden$data[c("study_id", "outcome_class", "format", "yi", "vi")], unlist))
D$format[is.na(D$format)] <- ""
D$row <- seq_len(nrow(D))
D$class <- factor(D$outcome_class, levels = c("psychosocial", "clinical"))
D$cell <- interaction(D$class, D$format, sep = " within ")
tight <- list(rel.tol = 1e-12, x.tol = 1e-10, eval.max = 5000, iter.max = 5000)

# Where nlminb calls a good maximum a failure under tight control, a less tight one.
fit_mv <- function(...) {
  call <- match.call(); call[[1]] <- quote(rma.mv)
  for (control in list(quote(tight), quote(list(rel.tol = 1e-11)))) {
    call$control <- control
    found <- tryCatch(eval(call, parent.frame()), error = function(e) NULL)
    if (!is.null(found)) return(found)
  }
  call$control <- NULL
  eval(call, parent.frame())
}
covariance <- function(rho) {
  V <- diag(D$vi)
  cells <- golden$covariances[[format(rho)]]
  if (!length(cells)) return(V)
  for (i in seq_len(nrow(cells))) V[cells[i, 1], cells[i, 2]] <- V[cells[i, 2], cells[i, 1]] <- cells[i, 3]
  V
}
contrasts <- list()
add <- function(name, model, rho, fit, weights, robust = TRUE) {
  message(name)
  L <- matrix(weights, nrow = 1)
  call <- gsub(" +", " ", paste(deparse(fit$call), collapse = ""))
  if (robust) {
    found <- linear_contrast(fit, vcov = "CR2", cluster = own$study_id, contrasts = L, test = "Satterthwaite", p_values = TRUE)
    numbers <- c(found$Est, found$SE, found$df, found$p_val)
  } else {
    found <- anova(fit, X = L)
    numbers <- c(found$Xb, found$se, NA, NA)
    if (inherits(fit, "rma.uni")) numbers[3:4] <- c(fit$dfs, found$pval)
  }
  contrasts[[length(contrasts) + 1]] <<- list(name, model, rho, call, numbers, fit$sigma2)
}
che <- function(name, rho, rows, formula = ~ 0 + class, weights = c(1, -1)) {
  own <<- droplevels(D[rows, ])
  V <- covariance(rho)[rows, rows]
  add(name, "CHE", rho, fit_mv(yi, V, mods = formula, random = ~ 1 | study_id/row, data = own), weights)
}
all <- rep(TRUE, nrow(D))
for (rho in c(0, 0.6, 0.9)) che(paste("rho", rho), rho, all)
for (format in c("one_to_one", "group")) che(format, 0.6, D$format == format)
formats <- D$format %in% c("one_to_one", "group")
D$cell <- factor(D$cell, levels = paste(rep(c("psychosocial", "clinical"), each = 2), "within", c("one_to_one", "group")))
for (class in c("psychosocial", "clinical")) che(class, 0.6, formats & D$class == class, ~ 0 + cell, c(1, -1))
che("interaction", 0.6, formats, ~ 0 + cell, c(1, -1, -1, 1))
own <- D
V <- covariance(0.6)
fit <- fit_mv(yi, V, mods = ~ 0 + class, random = list(~ class | study_id, ~ 1 | row), struct = "UN", data = D)
message("log-likelihood of the multivariate model: ", logLik(fit))
add("multivariate", "multivariate", 0.6, fit, c(1, -1))
add("three_level", "three_level", NA, fit_mv(yi, vi, mods = ~ 0 + class, random = ~ 1 | study_id/row, data = D), c(1, -1), FALSE)
add("independent", "independent", NA, rma(yi, vi, mods = ~ 0 + class, data = D, test = "knha", control = list(threshold = 1e-12, maxiter = 1000)), c(1, -1), FALSE)

golden$source <- list(R = R.version.string, metafor = as.character(packageVersion("metafor")),
  clubSandwich = as.character(packageVersion("clubSandwich")),
  call = "clubSandwich::linear_contrast(fit, vcov = 'CR2', cluster, contrasts, test = 'Satterthwaite'); metafor::anova(fit, X) of the models that are not robust",
  control = "rel.tol = 1e-12, x.tol = 1e-10 where nlminb then reports success, else rel.tol = 1e-11; see each call",
  covariances = "metapeer's sampling_covariance(arm_sizes = 'equal'), below the diagonal")
golden$columns <- c("name", "model", "rho", "call", "estimate, se, df, p", "sigma2")
golden$contrasts <- contrasts
line <- function(x) toJSON(x, digits = I(17), auto_unbox = TRUE, na = "null", null = "null", matrix = "rowmajor")
parts <- c("source", "columns", "contrasts", "data", "covariances")
writeLines(c("{", paste0(vapply(parts, function(name) paste0('"', name, '": ', line(golden[[name]])), ""), c(rep(",", 4), "")), "}"), args[1])
