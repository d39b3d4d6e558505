# The functions as one image, which AWS Lambda starts with a handler as its command (infra/code/image.yml). `npm run package` copies
# this file, the bundle and the configuration to build/image; infra/build-image.sh builds the image there.
#
# BASE has no default, because a tag may name another image tomorrow. The script asks the registry for the digest of
# public.ecr.aws/lambda/nodejs:24 and prints it; keep the digest with the release, and give it again (BASE=...) for the same image.
ARG BASE
FROM ${BASE}
COPY --chmod=555 . ${LAMBDA_TASK_ROOT}/
# Lambda runs every image as an unprivileged user; other container runtimes do so with this line. 65534 is the user nobody.
USER 65534:65534
CMD ["plan.handler"]
