package dev.torpor.benchmarks;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Writes each report as JSON, with its picture if it has one, and all of them as one Markdown file. */
final class Results {
    static final Gson GSON = new GsonBuilder()
            .setPrettyPrinting()
            .serializeSpecialFloatingPointValues()
            .disableHtmlEscaping()
            .create();

    private final Path directory;
    private final Machine machine;
    private final StringBuilder markdown = new StringBuilder();

    Results(Path directory, Machine machine) throws IOException {
        this.directory = Files.createDirectories(directory);
        this.machine = machine;
    }

    void add(Report report) throws IOException {
        JsonObject json = GSON.toJsonTree(report).getAsJsonObject();
        json.addProperty("simulated", machine.simulated());
        json.add("machine", GSON.toJsonTree(machine));
        Files.writeString(directory.resolve(report.part + ".json"), GSON.toJson(json) + "\n");
        if (report.chart != null) {
            Files.writeString(directory.resolve(report.part + ".svg"), report.chart);
        }
        String text = report.markdown(machine);
        System.out.println(text);
        markdown.append(text).append('\n');
        Files.writeString(directory.resolve("results.md"), markdown);
    }
}
